<?php
// The database is the service that this one is linked with: ConPaaS gives its address and its user in the environment.
define('DB_HOST', getenv('MYSQL_HOST') . ':' . getenv('MYSQL_PORT'));
define('DB_USER', getenv('MYSQL_USER'));
define('DB_PASSWORD', getenv('MYSQL_PASSWORD'));
define('DB_NAME', 'wordpress');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
$table_prefix = 'wp_';

// The first visitor finds no database.
mysqli_report(MYSQLI_REPORT_OFF);
$link = mysqli_connect(getenv('MYSQL_HOST'), DB_USER, DB_PASSWORD, '', (int) getenv('MYSQL_PORT'));
if ($link) {
    mysqli_query($link, 'CREATE DATABASE IF NOT EXISTS ' . DB_NAME . ' CHARACTER SET ' . DB_CHARSET);
    mysqli_close($link);
}

// All machines must know the same keys, and nobody else: they come from one secret of the service.
foreach (['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'] as $name) {
    define($name, hash_hmac('sha256', $name, getenv('WORDPRESS_SECRET')));
}

// The address is the one that the visitor has used.
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);

// The code is a version of the service: it changes by deploying another one.
define('DISALLOW_FILE_MODS', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISABLE_WP_CRON', false);
define('WP_DEBUG', false);

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
