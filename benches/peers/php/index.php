<?php
// PHP's own sessions, in files.

function page(string $variable1, int $count): void
{
    header('Content-Type: text/html; charset=utf-8');
    echo "<!DOCTYPE html>\n<title>Counter</title>\n<p>variable1: $variable1</p>\n<p>count: $count</p>\n";
}

switch ($_SERVER['DOCUMENT_URI']) {
    case '/':
        session_start();
        $_SESSION['variable1'] ??= 'Python Rules!';
        $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
        session_write_close();
        page($_SESSION['variable1'], $_SESSION['count']);
        break;
    case '/read':
        session_start(['read_and_close' => true]);
        page($_SESSION['variable1'] ?? 'not set', 0);
        break;
    case '/none':
        page('nobody', 0);
        break;
    default:
        http_response_code(404);
}
