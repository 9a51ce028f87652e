import { writeSync } from 'node:fs';
import { openSqliteStore } from '#event-store';
import { realWorld } from '#world';
import { record } from '../contract/stores.ts';

/** A process that appends to three streams and says what it does, for those who watch its system calls. */
const [, , file = ''] = process.argv;
const store = await openSqliteStore(realWorld(), file);
for (const stream of ['x', 'y', 'z']) {
  writeSync(1, `begin ${stream}`);
  await record(store, stream, 1);
  writeSync(1, `acknowledged ${stream}`);
}
await store.close();
