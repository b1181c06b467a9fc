// Command group delivers the events of logoutd to an HTTP endpoint, with any number of processes
// that share the work: a persistent subscription, where the server remembers how far the group is. It is
// meant to be copied: it knows EventStoreDB, through the official client, and nothing of logoutd.
//
//   - D1, at least once (deliver.go): an event is acknowledged after the endpoint has answered 2xx. A process or a server
//     that dies in between delivers it again; the endpoint tells by the event id, which is in the
//     header Idempotency-Key.
//   - D2, no order: several processes work at once, and what failed comes back later. Who needs order within
//     a stream sorts by revision, or takes the consumer in ../catchup.
//   - D3, parked, not lost (deliver.go): what the endpoint refuses for good (4xx), and what has failed too
//     often, is put aside by the server with the reason, and the others go on. It can be replayed.
//   - D4, away is not failed (deliver.go): an endpoint that does not answer at all says nothing of the event. The process lets go
//     of the group, which costs the events in its hands one attempt, and comes back when the endpoint does.
//   - D5, in time (main.go): the server takes what is not answered within its message timeout for failed, and gives it to
//     somebody else. So a process takes only as many events at a time as it can answer until then.
//   - D6, a client lives once (main.go): the official client never recovers from a failed discovery, so
//     each connection gets a new one, after a pause that grows and is spread at random.
package main
