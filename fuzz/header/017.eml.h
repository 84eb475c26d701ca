To: test@example.com
From: test@example.com
Subject: 27 plaintext + (HTML + embedded image)
Message-ID: <fd7a5d4a-6a3a-8b9b-b3e4-9e9391c3c703@example.com>
Date: Sat, 30 Dec 2017 19:36:00 +0100
User-Agent: Mozilla/5.0 (Windows NT 6.1; Win64; x64; rv:59.0) Gecko/20100101
 Thunderbird/59.0a1
MIME-Version: 1.0
Content-Type: multipart/alternative;
 boundary="------------77E82F0826A0A90EABD21FC3"
Content-Language: en-GB

