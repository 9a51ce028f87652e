/*
 * npm run hung -- --causes stopped --kinds create --places 6 --lasts 1500,15000: a machine, or all of them, come into
 * trouble at places on the way of each kind of request. At the end a merge outlives its timeout.
 */
import { parseArgs } from 'node:util';
import { drawn } from '../chaos/deaths.ts';
import { Chance } from '../simulation/chance.ts';
import { cleanUp } from '../qemu/rig.ts';
import { type Chapter, chapters } from './chapters.ts';
import { endure, type Ordeal, placesOf } from './ordeal.ts';
import { closeScene, openScene } from './scene.ts';
import { outlast } from './slow-merge.ts';
import { ordealTable, wrongIn } from './tables.ts';

const { values } = parseArgs({
  options: {
    /** Those whose names begin so; all when absent. */
    causes: { type: 'string', default: '' },
    kinds: { type: 'string', default: '' },
    /** At most so many of each kind, drawn by chance; all when absent. */
    places: { type: 'string' },
    /** How long a trouble lasts, in ms; each of these in turn. */
    lasts: { type: 'string', default: '1500' },
    /** How many times as fast ledgerd's clock runs. */
    haste: { type: 'string', default: '1' },
    /** Draws the same places as another run. */
    seed: { type: 'string', default: `${Date.now() % 1_000_000}` },
    json: { type: 'boolean', default: false },
  },
});
const chance = new Chance(Number(values.seed));
console.error(`seed ${values.seed}`);
const lasts = values.lasts.split(',').map(Number);
const ordeals: Ordeal[] = [];

async function enact(chapter: Chapter): Promise<void> {
  for (const kind of chapter.kinds.filter(({ name }) => name.startsWith(values.kinds))) {
    let scene = await chapter.open(kind, Number(values.haste));
    const all = await placesOf(kind, scene);
    const places = values.places === undefined ? all : drawn(all, Number(values.places), chance);
    console.error(`${chapter.cause.name}, ${kind.name}: ${places.length} places of ${all.length}`);
    for (const [index, place] of places.entries()) {
      const lastsMs = lasts[index % lasts.length] ?? 0;
      const ordeal = await endure(scene, { kind, cause: chapter.cause, place, lastsMs });
      ordeals.push(ordeal);
      const words = wrongIn([ordeal]);
      if (words.length === 0) continue;
      console.error(words.join('\n'));
      await closeScene(scene); // Nothing follows from what comes after something wrong.
      scene = await chapter.open(kind, Number(values.haste));
    }
    await closeScene(scene);
  }
}

const all = chapters();
for (const chapter of all.filter(({ cause }) => cause.name.startsWith(values.causes))) await enact(chapter);
if ('outlives its timeout'.startsWith(values.causes)) {
  const scene = await openScene({ canBreak: true });
  ordeals.push(await outlast(scene));
  await closeScene(scene);
}
await cleanUp();
for (const chapter of all) chapter.close();
const wrong = wrongIn(ordeals);
console.log(values.json ? JSON.stringify({ ordeals, wrong }) : ordealTable(ordeals));
console.log(`${ordeals.length} troubles, ${wrong.length} things wrong`);
process.exitCode = wrong.length === 0 ? 0 : 1;
