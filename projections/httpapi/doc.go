// Package httpapi is what dashboards and audit consumers read over HTTP: sessions from the
// read model, events from the store, and whether all is well. It changes nothing.
//
//	GET /v1/tokens?user_id=&client_id=&status=&limit=&cursor=&min_position=&wait_ms=
//	GET /v1/tokens/{session_id}?min_position=&wait_ms=
//	GET /v1/tokens/{session_id}/timeline?limit=&cursor=&min_position=&wait_ms=
//	GET /v1/events?from=&stream=&user_id=&type=&limit=&follow=       application/x-ndjson
//	GET /healthz   GET /readyz
//
// # Rules
//
//   - H1, positions are decimal strings, for a JSON number loses digits in many languages. Every
//     answer from the read model is of one moment and names its position in the header
//     Logoutd-Position; pages name it in the body, too.
//   - H2, min_position waits until the read model has reached it: 5 s, or what wait_ms or
//     "Prefer: wait=<seconds>" say, at most Config.MaxWait. After that the answer is 503
//     not_caught_up with the position that was reached. So a client reads its own writes.
//   - H3, status is active by default, else expired, revoked, parked or all. Expired is what the clock of
//     the server says when the page is made. A session is parked when an event of it cannot be read.
//   - H4, a cursor is opaque and belongs to the route that gave it. A page may be
//     shorter than its limit; there is more as long as there is a next_cursor.
//   - H5, a timeline is a session's own events and those of the refused logouts that named
//     it, in the global order, up to the position of the read model.
//   - H6, events: from is exclusive. A stream that ends in * is a prefix; type may be repeated or
//     hold a list with commas. System streams, whose names begin with $, are shown to who asks for them
//     by such a name or prefix. The answer ends with the event that was the last when it began; with
//     follow it goes on until the client leaves or the server stops, and an empty line every
//     Config.KeepAlive shows that the connection lives.
//   - H7, an answer of events that ends normally is complete; one that cannot be is broken off, so
//     that a client sees it: by closing the connection within the body.
//   - H8, who does not read for Config.WriteTimeout is dropped. He slows nobody down before.
//   - H9, data and metadata are the stored JSON, on one line. What is not JSON is
//     data_base64 and metadata_base64.
//   - H10, every error is a problem document (RFC 9457) with a code that does not change. An unknown or
//     repeated parameter is an error that names it, not something to overlook.
//   - H11, no fingerprint of a token is shown but in the events, where it is stored; nothing may
//     be kept by a cache or a browser, and no other web site may read it.
//   - H12, /healthz says that the process lives; /readyz looks at the store, the projection
//     and what Config.Checks adds, and names each.
//   - H13, a read model that cannot be used is a 503 with the reason, never an older answer.
package httpapi
