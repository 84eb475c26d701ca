Subject: Hide and seek
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=1

