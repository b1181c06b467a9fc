// An audit consumer on @eventstore/db-client, the client of EventStoreDB. Usage: node eventstore.mjs --help
import { EventStoreDBClient, START, streamNameFilter } from "@eventstore/db-client";

import { main } from "./consumer.mjs";

await main({
  name: "eventstore.mjs",
  connect: (connection) => EventStoreDBClient.connectionString(connection),
  START,
  streamNameFilter,
  // This client has no filter for reads: everything comes, and consumer.mjs picks.
  readAll: (client, options) => client.readAll(options),
});
