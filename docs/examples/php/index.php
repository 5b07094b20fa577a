<?php
// A page that shows which machine and which version answer, and counts the visits of a browser in its session.
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
$facts = [
    'host'    => gethostname(),
    'version' => $_SERVER['HTTP_X_CONPAAS_VERSION'] ?? 'unknown',
    'visits'  => $_SESSION['visits'],
    'php'     => PHP_VERSION,
];
if (($_GET['format'] ?? '') === 'json') {
    header('Content-Type: application/json');
    echo json_encode($facts), "\n";
    exit;
}
?>
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>ConPaaS example</title>
  <link rel="stylesheet" href="style.css">
</head>
<body>
  <h1>A PHP program on ConPaaS</h1>
  <dl>
<?php foreach ($facts as $name => $value): ?>
    <dt><?= htmlspecialchars($name) ?></dt>
    <dd><?= htmlspecialchars((string) $value) ?></dd>
<?php endforeach ?>
  </dl>
</body>
</html>
