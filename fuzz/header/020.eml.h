From: test <test@example.com>
Subject: test multipart, related first, with image
To: test2 <test2@example.com>
Date: Sat, 27 Feb 2016 17:11:45 +0100
MIME-Version: 1.0
Content-Type: multipart/related;
 boundary="------------related"

