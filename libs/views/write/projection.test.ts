import { expect, test } from 'vitest';
import { realWorld } from '#world';
import { registration } from '../story/scribe.ts';
import { openFile } from './file.ts';
import { type LogEvent, OutOfStep, Projection } from './projection.ts';

const registered = (version: string): LogEvent => ({
  ...{ id: 'e', stream: 'vm-vm', version, recordedAt: '2026-11-21T12:00:00.000Z', actor: 'http:ann' },
  ...{ correlationId: 'c', causationId: '', commandId: '', commandDigest: '', schemaVersion: '1' },
  ...{ position: '7', previousHash: '0', hash: '1' },
  ...{ type: 'VmRegistered', data: registration('vm') },
});

test('an event that does not come next in its stream is not shown', async () => {
  const { db, missing } = await openFile(realWorld(), ':memory:', () => undefined);
  const projection = new Projection(db, missing);
  expect(() => projection.apply(registered('2'))).toThrow(OutOfStep);
  projection.apply(registered('1'));
  expect(() => projection.apply(registered('1'))).toThrow(OutOfStep);
  expect(projection.checkpoint()).toEqual({ position: '7', hash: '1', before: null });
  db.close();
});
