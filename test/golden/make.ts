import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openMemoryStore } from '#event-store';
import { realWorld, rfc3339 } from '#world';
import { openLedgers } from '../../apps/ledgerd/ledger.ts';
import { Teller } from './teller.ts';
import { tellStory } from './story.ts';
import { summaryOf } from './summary.ts';

/*
 * `deploy/node24 --conditions=source test/golden/make.ts N` tells the story to the ledger of today and writes vN.jsonl
 * and vN.summary.json: every type of event and every member that one can have. A log that is there is not overwritten.
 * Read the summary before you believe it, and let oxfmt lay it out.
 */
const [release = ''] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(release)) throw new Error('which release?');

const STARTED_AT_MS = Date.parse('2026-11-22T10:00:00.000Z');
const MINUTE_MS = 60_000;

/** One minute for each event, and ids that count. */
function countedWorld() {
  const real = realWorld();
  let events = 0;
  const now = (): number => STARTED_AT_MS + events * MINUTE_MS;
  const uuid = (): string => {
    events += 1;
    return `0199b1b3-${String(events).padStart(4, '0')}-7000-8000-0000000000ee`;
  };
  return { ...real, clock: { ...real.clock, now }, ids: { uuid } };
}

const world = countedWorld();
const store = openMemoryStore(world);
await tellStory(new Teller(openLedgers({ world, store }), () => rfc3339(world.clock.now())));

const lines: string[] = [];
const head = await store.head();
for await (const events of store.since(null, new AbortController().signal)) {
  lines.push(...events.map(({ record }) => record));
  if (events.at(-1)?.position === head) break;
}
const fileOf = (ending: string): string => join(import.meta.dirname, `v${release}.${ending}`);
writeFileSync(fileOf('jsonl'), `${lines.join('\n')}\n`, { flag: 'wx' });
writeFileSync(fileOf('summary.json'), `${JSON.stringify(summaryOf(lines), null, 2)}\n`, { flag: 'wx' });
