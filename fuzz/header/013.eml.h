Date: Fri, 19 Aug 2022 13:10:40 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=166091464015.94FEC6.541095
Content-Transfer-Encoding: 7bit

