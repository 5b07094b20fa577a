<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Welcome</title><link rel="stylesheet" href="welcome.css"></head>
<body>
<h1>This PHP service is ready</h1>
<p>It runs PHP <?= htmlspecialchars(PHP_VERSION) ?>. Upload the code of your program and enable it, and it takes the place of this page:</p>
<pre>cps php upload-code APPLICATION SERVICE ARCHIVE --enable</pre>
</body>
</html>
