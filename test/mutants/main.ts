/* npm run mutants: does the simulation notice each of these mistakes? `--only PATTERN`, `--seeds 2000`, `--json`. */
import { parseArgs } from 'node:util';
import { ALL_MUTANTS } from './all.ts';
import { chase, type Chased } from './chase.ts';
import type { Mutant } from './mutant.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    /** Those whose name or file matches. */
    only: { type: 'string', default: '' },
    /** How many at the same time. */
    beside: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});

/** Worlds in which the program as it is must show nothing. */
const CONTROL_SEEDS = 50;
const BY_LENGTH_MAX = 100;

type Row = Pick<Mutant, 'name' | 'file'> & Chased;

const seeds = { from: Number(values.from), count: Number(values.seeds) };
const only = new RegExp(values.only);
const chosen = ALL_MUTANTS.filter(({ name, file }) => only.test(`${name} ${file}`));
const rows: Row[] = [];
const waiting = [...chosen];

async function work(): Promise<void> {
  for (let mutant = waiting.shift(); mutant; mutant = waiting.shift()) {
    const { name, file } = mutant;
    const row = { name, file, ...(await chase(mutant, seeds)) };
    rows.push(row);
    console.error(`${rows.length} of ${chosen.length}  ${textOf(row)}`);
  }
}

function textOf({ name, file, seed, by }: Row): string {
  const how = seed === null ? 'SURVIVED' : `seed ${String(seed).padStart(4)}`;
  const said = by.length > BY_LENGTH_MAX ? `${by.slice(0, BY_LENGTH_MAX)}…` : by;
  return `${how.padEnd(9)}  ${name}\n${' '.repeat(11)}${file}${said === '' ? '' : `\n${' '.repeat(11)}${said}`}`;
}

const beganNs = process.hrtime.bigint();
for (const journey of [null, ...new Set(chosen.flatMap((mutant) => mutant.journey ?? []))]) {
  const control = await chase(null, { ...seeds, count: Math.min(CONTROL_SEEDS, seeds.count) }, journey);
  const where = `seed ${control.seed}${journey === null ? '' : ` of "${journey}"`}`;
  if (control.seed !== null) throw new Error(`without any mistake ${where} shows ${control.by}`);
}
await Promise.all(Array.from({ length: Number(values.beside) }, work));
const seconds = Number(process.hrtime.bigint() - beganNs) / 1e9;
const inOrder = chosen.flatMap(({ name }) => rows.find((row) => row.name === name) ?? []);
const survivors = inOrder.filter(({ seed }) => seed === null);
if (values.json) console.log(JSON.stringify({ seeds, seconds, mutants: inOrder }, null, 2));
else console.log(inOrder.map(textOf).join('\n'));
console.error(
  `${inOrder.length} mutants, ${inOrder.length - survivors.length} caught, ${survivors.length} survived, ${seconds.toFixed(0)} s`,
);
process.exitCode = survivors.length === 0 ? 0 : 1;
