import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { appendRows } from './append.ts';
import { machineRows } from './machine.ts';
import { renameRows } from './rename.ts';
import { type Row, table } from './row.ts';

/* npm run bench: every figure beside its baseline of the same run, as a table; `-- --json FILE` keeps it for machines. */
const { values } = parseArgs({ options: { json: { type: 'string' } } });

const parts: readonly (readonly [what: string, measure: () => Promise<Row[]>])[] = [
  ['durable appends', appendRows],
  ['renames over HTTP', renameRows],
  ...(needsQemu() ? [['create and load on real QEMU', machineRows] as const] : []),
];

const rows: Row[] = [];
for (const [what, measure] of parts) {
  console.error(`measuring ${what} …`);
  rows.push(...(await measure()));
}
await cleanUp();
console.log(table(rows));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
