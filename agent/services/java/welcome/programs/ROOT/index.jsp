<%@ page contentType="text/html; charset=UTF-8" session="false" %><!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Welcome</title><link rel="stylesheet" href="welcome.css"></head>
<body>
<h1>This Java service is ready</h1>
<p>It runs Java <%= System.getProperty("java.specification.version") %>. Upload your program as a .war file and enable it, and it takes the place of this page:</p>
<pre>cps java upload-code APPLICATION SERVICE FILE.war --enable</pre>
</body>
</html>
