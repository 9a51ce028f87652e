/*
 * npm run hung -- --kinds create --places 6 --lasts 15000: QEMU stands still, or hangs for good, at places on the way of
 * each kind of request.
 */
import { parseArgs } from 'node:util';
import { drawn } from '../chaos/deaths.ts';
import { KINDS } from '../chaos/kinds.ts';
import { cleanUp } from '../qemu/rig.ts';
import { hung, stopped } from './causes.ts';
import { endure, type Ordeal, placesOf } from './ordeal.ts';
import { closeScene, openScene } from './scene.ts';

const { values } = parseArgs({
  options: {
    kinds: { type: 'string', default: '' },
    places: { type: 'string', default: '4' },
    lasts: { type: 'string', default: '1500' },
    haste: { type: 'string', default: '1' },
  },
});
const rows: Ordeal[] = [];
for (const kind of KINDS.filter(({ name }) => name.startsWith(values.kinds))) {
  for (const cause of [stopped, hung]) {
    const scene = await openScene({ disksCount: kind.disksCount, haste: Number(values.haste) });
    const places = await placesOf(kind, scene);
    for (const place of drawn(places, Number(values.places))) {
      const row = await endure(scene, { kind, cause, place, lastsMs: Number(values.lasts) });
      rows.push(row);
      console.log(
        row.kind,
        '|',
        row.cause,
        '|',
        row.at,
        '|',
        row.neighbourTimes.toFixed(1),
        '|',
        [...new Set(row.answers)].join(', '),
        '|',
        row.ended,
        '|',
        row.recoveredMs.toFixed(0),
        row.wrong,
      );
    }
    await closeScene(scene);
  }
}
await cleanUp();
