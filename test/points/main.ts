/* npm run points: writes docs/fault-points.md from the code. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allTouches, DOCUMENT, documentOf } from './document.ts';
import { root } from './read-code.ts';

const touches = allTouches();
writeFileSync(join(root, DOCUMENT), documentOf(touches));
console.log(`${DOCUMENT}: ${touches.length} touches`);
