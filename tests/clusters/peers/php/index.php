<?php
// The pages on PHP's own sessions, with phpredis. Its save handler cannot ask sentinels.

// An answer says that all went well only if nothing was reported.
$failure = null;
set_error_handler(function (int $level, string $message) use (&$failure): bool {
    $failure ??= $message;
    return true;
});

/** The variables, one a line. */
function variables(): string
{
    $text = '';
    foreach (['a', 'b', 'count', 'user'] as $name) {
        if (isset($_SESSION[$name])) {
            $text .= "$name=$_SESSION[$name]\n";
        }
    }
    return $text;
}

function wait(): void
{
    usleep(1000 * (int) ($_GET['wait'] ?? 0));
}

function save(): void
{
    session_write_close() || trigger_error('the session was not saved');
}

$answer = '';
$read = session_start();
switch ($read ? parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) : '/failed') {
    case '/login':
        $_SESSION['user'] = 1;
        $answer = variables();
        save();
        break;
    case '/add':
        wait();
        $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
        $answer = variables();
        save();
        break;
    case '/set':
        // Answers with what it found.
        $answer = variables();
        wait();
        $_SESSION[$_GET['name']] = (int) $_GET['value'];
        save();
        break;
    case '/read':
        $answer = variables();
        session_abort();
        break;
    case '/logout':
        $_SESSION = [];
        session_destroy() || trigger_error('the session was not ended');
        break;
    case '/failed':
        $failure ??= 'the session was not read';
        break;
    default:
        http_response_code(404);
}
if ($failure !== null) {
    http_response_code(500);
    $answer = $failure;
}
echo $answer;
