// An audit consumer on @kurrent/kurrentdb-client, the client of KurrentDB. Usage: node kurrentdb.mjs --help
import { KurrentDBClient, START, streamNameFilter } from "@kurrent/kurrentdb-client";

import { main } from "./consumer.mjs";

await main({
  name: "kurrentdb.mjs",
  // The same protocol under its new name; the old one only earns a warning.
  connect: (connection) => KurrentDBClient.connectionString(connection.replace(/^esdb/, "kurrentdb")),
  START,
  streamNameFilter,
  // Reads go through a native module with a connection of its own, and the server filters.
  readAll: (client, options, filter) => client.readAll({ ...options, filter }),
});
