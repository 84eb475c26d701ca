Subject: this is a subject
This is an invalid header
AnotherHeader: is this an header or the first part of the body?

