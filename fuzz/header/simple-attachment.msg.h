Date: Fri, 27 Apr 2007 16:08:23 +0200
From: Foo Bar <bar@example.com>
MIME-Version: 1.0
To:  foo@example.com
Subject: Here is the attachment I was waiting for.
Content-Type: multipart/mixed;
 boundary="------------090404080405080108000909"

