<?php
// The classic demo, with numbered events: pings, and a message after them.
// Each request is given five events after its Last-Event-ID, and its end.
header("Content-Type: text/event-stream");
header("Cache-Control: no-cache");

echo "retry: 20\n\n";
$last = intval($_SERVER["HTTP_LAST_EVENT_ID"] ?? 0);
for ($id = $last + 1; $id <= $last + 5; $id++) {
    echo "id: $id\n";
    if ($id % 5) {
        echo "event: ping\n";
        echo 'data: {"time": "' . date(DATE_ISO8601) . "\"}\n\n";
    } else {
        echo "data: This is a message at time " . date(DATE_ISO8601) . "\n\n";
    }
    while (ob_get_level()) {
        ob_end_flush();
    }
    flush();
}
