import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mistaken, type Mutant } from './mutant.ts';

export const ROOT = join(import.meta.dirname, '../..');
/** All that a simulation is made of. */
const SOURCES = ['apps', 'libs', 'test/simulation', 'test/mutants', 'package.json'];

/** The sources of the project in a directory of their own, with one mistake in them or none. `dispose` removes them. */
export class Copy {
  readonly root = mkdtempSync(join(tmpdir(), 'snapledger-mutant-'));

  constructor(mutant: Mutant | null) {
    for (const source of SOURCES)
      cpSync(join(ROOT, source), join(this.root, source), { recursive: true, filter: isSource });
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
    if (mutant) writeFileSync(join(this.root, mutant.file), textWith(mutant));
  }

  dispose(): void {
    rmSync(this.root, { recursive: true });
  }
}

/** The product's file as it would be with the mistake in it. Throws as `mistaken` does. */
export const textWith = (mutant: Mutant): string =>
  mistaken(readFileSync(join(ROOT, mutant.file), 'utf8'), mutant);

const isSource = (path: string): boolean => !path.endsWith('.test.ts') && !path.includes('/dist/');
