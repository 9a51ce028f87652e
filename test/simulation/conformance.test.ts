/* Is our QEMU the real one? Both are driven with the same scripts, and must say and leave the same. */
import { afterAll, describe, expect, test } from 'vitest';
import { cleanUp, needsQemu } from '../qemu/rig.ts';
import { modelSubject } from './conformance/model-subject.ts';
import { realSubject } from './conformance/real-subject.ts';
import { LAYER_SCRIPTS } from './conformance/layers.ts';
import { SCRIPTS } from './conformance/script.ts';
import type { Script, Subject } from './conformance/step.ts';

afterAll(cleanUp);

async function played(subject: Subject, script: Script): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (const step of script.steps) seen.push({ step, saw: await subject.play(step) });
  await subject.close();
  return seen;
}

describe.runIf(needsQemu())('the simulated QEMU and the real one agree on', () => {
  test.each(Object.entries({ ...SCRIPTS, ...LAYER_SCRIPTS }))('%s', async (_name, script) => {
    const real = await played(await realSubject(script), script);
    const model = await played(modelSubject(script), script);
    expect(model).toEqual(real);
  });
});
