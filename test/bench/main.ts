import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { appendRows } from './append.ts';
import { historyRows } from './history.ts';
import { largeLogRows } from './large-log.ts';
import { machineRows } from './machine.ts';
import { renameRows } from './rename.ts';
import { type Row, table } from './row.ts';

/*
 * npm run bench: every figure beside its baseline of the same run, as a table; `-- --json FILE` keeps it for machines,
 * `-- --only PART` takes one part (again for more).
 */
const { values } = parseArgs({
  options: { json: { type: 'string' }, only: { type: 'string', multiple: true } },
});

interface Part {
  readonly what: string;
  readonly measure: () => Promise<Row[]>;
}

const parts: Readonly<Record<string, Part>> = {
  append: { what: 'durable appends', measure: appendRows },
  rename: { what: 'renames over HTTP', measure: renameRows },
  history: { what: 'VMs with a long history', measure: historyRows },
  log: { what: 'a log of a million events', measure: largeLogRows },
  ...(needsQemu() && { machine: { what: 'snapshots on real QEMU', measure: machineRows } }),
};

const wanted = values.only ?? Object.keys(parts);
const unknown = wanted.find((name) => !Object.hasOwn(parts, name));
if (unknown !== undefined) {
  console.error(`there is no part "${unknown}"; the parts are ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
for (const name of wanted) {
  const part = parts[name];
  if (!part) continue;
  console.error(`measuring ${part.what} …`);
  rows.push(...(await part.measure()));
}
await cleanUp();
console.log(table(rows));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
