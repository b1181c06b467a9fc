// The output file of a consumer, one JSON object per line, and the checkpoint that belongs to it.
import fs from "node:fs";
import path from "node:path";

// lineOf is an event as the output shows it. A position is a string, because numbers beyond 2^53 are rounded here.
export function lineOf(event) {
  return JSON.stringify({
    position: event.position.commit.toString(),
    stream: event.streamId,
    revision: Number(event.revision),
    type: event.type,
    id: event.id,
    recorded_at: event.created.toISOString(), // to the millisecond or, in reads of the newer client, the second; occurred_at in the metadata is exact
    ...(event.isJson ? { data: event.data } : { data_base64: Buffer.from(event.data).toString("base64") }),
    metadata: event.metadata,
  });
}

// Record appends events to a file and keeps the place reached in another.
export class Record {
  last; // { position, event_id } of the newest event written; undefined before the first
  unsaved = 0; // events written since the last save
  #out;
  #checkpoint;
  #lines = [];

  // A start goes on behind the checkpoint, or behind the last whole line of the output when that is further
  // (a crash came between the two).
  constructor(out, checkpoint) {
    this.#out = fs.openSync(out, "a+", 0o600);
    this.#checkpoint = checkpoint;
    this.last = readCheckpoint(checkpoint);
    const written = cutTornLine(this.#out);
    if (written && BigInt(written.position) > BigInt(this.last?.position ?? -1)) {
      this.last = { position: written.position, event_id: written.id };
    }
  }

  // write appends one event. One that is there already, because a server repeated it, is stepped over (C2).
  write(event) {
    if (this.last && event.position.commit <= BigInt(this.last.position)) {
      return;
    }
    this.#lines.push(lineOf(event) + "\n");
    this.last = { position: event.position.commit.toString(), event_id: event.id };
    this.unsaved++;
  }

  // save makes everything written durable, and then the checkpoint: the other order would lose events (C1).
  save() {
    if (this.unsaved === 0) {
      return;
    }
    writeWhole(this.#out, this.#lines.join(""));
    fs.fsyncSync(this.#out);
    this.#lines = [];
    this.unsaved = 0;
    replaceFile(this.#checkpoint, JSON.stringify(this.last) + "\n");
  }
}

function readCheckpoint(name) {
  let text;
  try {
    text = fs.readFileSync(name, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") {
      return undefined;
    }
    throw error;
  }
  const { position, event_id } = JSON.parse(text);
  if (!/^\d+$/.test(position) || !event_id) {
    throw new Error(`checkpoint ${name} names no event; to copy everything again, remove it and the output`);
  }
  return { position, event_id };
}

// cutTornLine drops what a crash left behind the last line break, and answers the last whole line.
function cutTornLine(file) {
  const { size } = fs.fstatSync(file);
  // An event is at most 16 MiB; read the end of the file until a whole line stands in it.
  for (let window = Math.min(1 << 16, size); window > 0; window = Math.min(2 * window, size)) {
    const tail = Buffer.alloc(window);
    fs.readSync(file, tail, 0, window, size - window);
    const end = tail.lastIndexOf("\n");
    const start = end > 0 ? tail.lastIndexOf("\n", end - 1) + 1 : 0;
    if (window === size || start > 0) {
      fs.ftruncateSync(file, size - (window - end - 1));
      return end < 0 ? undefined : JSON.parse(tail.toString("utf8", start, end));
    }
  }
  return undefined;
}

function writeWhole(file, text) {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(file, bytes, done);
  }
}

// replaceFile leaves, after a crash at any moment, the old or the new content, whole.
function replaceFile(name, text) {
  const file = fs.openSync(`${name}.new`, "w", 0o600);
  writeWhole(file, text);
  fs.fsyncSync(file);
  fs.closeSync(file);
  fs.renameSync(`${name}.new`, name);
  const folder = fs.openSync(path.dirname(path.resolve(name)), "r");
  fs.fsyncSync(folder); // else a power loss may undo the rename
  fs.closeSync(folder);
}
