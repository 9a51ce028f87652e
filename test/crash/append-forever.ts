import { writeSync } from 'node:fs';
import { openLedger, openSqliteStore } from '#event-store';
import { realWorld } from '#world';

/**
 * A process that appends to a log until it is killed: `append-forever.ts FILE NAME`. Says `open` when the log is
 * open, `ask KEY` before every command and `done KEY VERSION` after its answer.
 */
const STREAMS = 8;
const EVENTS_PER_COMMAND = 3;

const [, , file = '', name = ''] = process.argv;
const say = (line: string): void => void writeSync(1, `${line}\n`);

const world = realWorld();
const ledger = openLedger({
  world,
  store: await openSqliteStore(world, file),
  decider: {
    version: 1,
    initial: () => null,
    evolve: () => null,
    decide: (key: string) =>
      Array.from({ length: EVENTS_PER_COMMAND }, (_, part) => ({ type: 'Happened', data: { key, part } })),
    read: (type, _schemaVersion, data) => ({ type, data: data as object }),
    schemaVersionOf: () => '1',
    sizeBytes: () => 0,
  },
});
say('open');

async function appendTo(stream: string): Promise<void> {
  for (let command = 0; ; command += 1) {
    const key = `${name}:${stream}:${command}`;
    say(`ask ${key}`);
    const asked = { actor: 'test:child', correlationId: key, key, request: key };
    const { version } = await ledger.handle(stream, key, asked);
    say(`done ${key} ${version}`);
  }
}

await Promise.all(Array.from({ length: STREAMS }, (_, index) => appendTo(`s${index}`)));
