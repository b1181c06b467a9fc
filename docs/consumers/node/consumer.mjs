// What the consumers share whatever their client: the command line, reading, following, coming back.
// The rules they keep are those of ../catchup/doc.go, under the same numbers.
import { setTimeout as pauseFor } from "node:timers/promises";
import { parseArgs } from "node:util";

import { lineOf, Record } from "./record.mjs";

const local = "esdb://127.0.0.1:2113?tls=false"; // the logoutd of `make run`

const usage = (name) => `usage:
  node ${name} stream NAME    print the events of one stream
  node ${name} all            print the events of all streams that match, and end
  node ${name} follow         append them to a file, and go on live, for ever

  --connection STRING   of logoutd or EventStoreDB (default $ESDB_CONNECTION, else ${local})
  --stream-prefix P     streams that begin so; may be given several times (default refreshToken-)
  --out FILE            follow: append to this file (default events.ndjson)
  --checkpoint FILE     follow: remember the place reached here (default FILE.checkpoint)`;

const flags = {
  connection: { type: "string" },
  "stream-prefix": { type: "string", multiple: true, default: ["refreshToken-"] },
  out: { type: "string", default: "events.ndjson" },
  checkpoint: { type: "string" },
  help: { type: "boolean", default: false },
};

// main runs the command line with one of the clients.
export async function main(sdk) {
  let command, stream, options;
  try {
    ({ positionals: [command, stream], values: options } = parseArgs({ options: flags, allowPositionals: true }));
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
  const commands = { stream: printStream, all: printAll, follow: followForEver };
  if (options.help || !commands[command] || (command === "stream") !== (stream !== undefined)) {
    console.error(usage(sdk.name));
    process.exit(options.help ? 0 : 2);
  }
  // One client for the whole life of the process: it reconnects by itself, and a new one for each attempt
  // would leave the channel of the old one open.
  let client;
  try {
    client = sdk.connect(options.connection ?? process.env.ESDB_CONNECTION ?? local);
  } catch { // the error quotes the string, with its password
    console.error(`the connection string is none; want one like ${local} or esdb://USER:PASSWORD@HOST:2113`);
    process.exit(2);
  }
  try {
    await commands[command](sdk, client, { ...options, prefixes: options["stream-prefix"], stream });
  } catch (error) {
    console.error(`${sdk.name}: ${error.message || error}`);
    process.exitCode = 1;
  }
  await client.dispose();
}

async function printStream(_sdk, client, { stream }) {
  for await (const { event } of client.readStream(stream)) {
    console.log(lineOf(event));
  }
}

async function printAll(sdk, client, { prefixes }) {
  const filter = sdk.streamNameFilter({ prefixes });
  for await (const { event } of sdk.readAll(client, { fromPosition: sdk.START }, filter)) {
    if (prefixes.some((prefix) => event.streamId.startsWith(prefix))) {
      console.log(lineOf(event));
    }
  }
}

// Pauses between attempts to connect, in milliseconds: from the first up to the last, doubling.
const firstPause = 200;
const lastPause = 30_000;

// What waiting does not mend stops the program, so that a supervisor, and then a person, sees it.
const hopeless = ["access-denied", "invalid-argument", "unsupported"];

// followForEver copies events until it is told to stop.
async function followForEver(sdk, client, options) {
  const record = new Record(options.out, options.checkpoint ?? `${options.out}.checkpoint`);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => stop.abort());
  }
  let pause = firstPause;
  while (!stop.signal.aborted) {
    const before = record.last;
    let problem = new Error("the server ended the subscription");
    try {
      await follow(sdk, client, options, record, stop.signal);
    } catch (error) {
      problem = error;
    } finally {
      record.save();
    }
    if (stop.signal.aborted) {
      return;
    }
    if (problem instanceof OtherRecord || problem.code?.startsWith?.("E") || hopeless.includes(problem.type)) {
      throw problem; // E… is a file that cannot be written
    }
    if (record.last !== before) {
      pause = firstPause; // it had worked
    }
    console.error(`${sdk.name}: not connected, trying again in ${pause} ms: ${problem.message || problem}`);
    // Many consumers shall not come back at the same time, hence the chance in it.
    await pauseFor(pause / 2 + (Math.random() * pause) / 2, undefined, { signal: stop.signal }).catch(() => {});
    pause = Math.min(2 * pause, lastPause);
  }
}

// A save waits for the disk several times, so events are saved in batches: so many at once while it catches up,
// and live those of so many milliseconds.
const saveEvery = 500;
const saveAfter = 50;

// follow copies events over one subscription until it breaks.
async function follow(sdk, client, { prefixes }, record, signal) {
  await sameRecord(sdk, client, record.last);
  if (signal.aborted) {
    return; // meanwhile
  }
  const subscription = client.subscribeToAll({
    fromPosition: record.last ? positionOf(record.last) : sdk.START, // exclusive: the next event is the first
    filter: sdk.streamNameFilter({ prefixes }),
  });
  const end = () => subscription.destroy();
  signal.addEventListener("abort", end, { once: true });
  let timer;
  const save = () => {
    clearTimeout(timer);
    timer = undefined;
    try {
      record.save();
    } catch (error) {
      subscription.destroy(error); // ends the loop below, with this error
    }
  };
  try {
    for await (const { event } of subscription) {
      record.write(event);
      if (record.unsaved >= saveEvery) {
        save();
      } else {
        timer ??= setTimeout(save, saveAfter);
      }
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}

class OtherRecord extends Error {}

// sameRecord reads the event at the checkpoint again (C4). A read of $all begins with the event at its position.
async function sameRecord(sdk, client, last) {
  if (!last) {
    return;
  }
  let found;
  for await (const { event } of sdk.readAll(client, { fromPosition: positionOf(last), maxCount: 1 })) {
    found = event;
  }
  if (found?.id !== last.event_id) {
    throw new OtherRecord(
      `at position ${last.position} the server has ${found ? `event ${found.id}` : "nothing"}, not event ${last.event_id}` +
        " that this consumer stopped at: was it restored or replaced?",
    );
  }
}

// positionOf is a place as the clients want it. Both halves are equal in all that is written over gRPC.
function positionOf({ position }) {
  return { commit: BigInt(position), prepare: BigInt(position) };
}
