Subject: RFC 8621 Section 4.1.4 test
Content-Type: multipart/mixed; boundary="1"

