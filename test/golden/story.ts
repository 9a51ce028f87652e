import { FINDINGS_MAX, type Finding, type Layer, tagOf } from '#ledger';
import {
  WEB,
  DB,
  idOf,
  operationOf,
  SNAPSHOTS,
  LIMITS,
  MEMORY_BYTES,
  plan,
  config,
  disk,
  raw,
  AT_FIRST,
  seenOn,
  traceOf,
  inside,
  scratch,
  layerOf,
  overlay,
  NO_CHANGE,
  goesOnIn,
  started,
  failed,
} from './cast.ts';
import type { Teller } from './teller.ts';

/* The lives of two machines, in which everything happens once that can happen. */

/** Tells it from the beginning to the end. */
export async function tellStory(tell: Teller): Promise<void> {
  await registered(tell);
  await adopted(tell);
  await taken(tell);
  await failedToTake(tell);
  await frozen(tell);
  await patched(tell);
  await loaded(tell);
  await drifted(tell);
  await deleted(tell);
  await forgotten(tell);
  await leftUnderWay(tell);
}

async function registered(tell: Teller): Promise<void> {
  const disks = [disk('vda', ''), disk('vdb', ''), disk('scratch', '', raw)];
  const web = {
    ...{ vmId: WEB, name: 'web', host: 'host-1', monitor: '/run/qemu/web.qmp', guestAgent: null },
    ...{ labels: { tier: 'gold' }, disks, foreignTags: [] },
  };
  await tell.register(web, ['/templates/debian.qcow2']);
  const moved = { name: 'web-1', monitor: '/run/qemu/web-1.qmp' };
  await tell.claim(WEB, { ...moved, files: disks.map(({ file }) => file), registration: null });
  const more = { labels: { owner: 'Zoë' }, guestAgent: '/run/qemu/web-1.qga', host: 'host-2' };
  await tell.ask(WEB, { type: 'ChangeVm', change: { ...moved, ...more } });
  await tell.ask(WEB, { type: 'ChangeVm', change: { defaults: { scratch: 'external' } } });
  const foreignTags = ['vda', 'vdb'].map((device) => ({ device, tag: 'vor dem Umzug' }));
  await tell.report(WEB, { type: 'ReportDisks', disks: seenOn(AT_FIRST), foreignTags });
}

async function adopted(tell: Teller): Promise<void> {
  const tag = 'vor dem Umzug';
  const evidence = [traceOf('vda', tag), traceOf('vdb', tag, MEMORY_BYTES)];
  const finding: Finding = { kind: 'foreign', tag, message: 'adopt it', evidence };
  const disks = seenOn(AT_FIRST);
  const foreignTags = ['vda', 'vdb'].map((device) => ({ device, tag }));
  await tell.report(WEB, { type: 'ReportDrift', disks, foreignTags, findings: [finding], stopped: false });
  await tell.ask(WEB, { type: 'AdoptSnapshots', names: [tag], ids: [idOf(1)] });
}

/** With memory in a file of its own, disks of both kinds, and a copy of one. */
async function taken(tell: Teller): Promise<void> {
  const [snapshotId, operationId] = [idOf(2), operationOf(2)];
  const memoryFile = `${SNAPSHOTS}/memory-2.qcow2`;
  const backup = { device: 'vda', target: '/backup/vda.qcow2', format: 'qcow2', sync: 'top' } as const;
  const file = { file: scratch(2), format: 'qcow2', fileMode: 'existing' } as const;
  await tell.ask(WEB, {
    ...{ type: 'CreateSnapshot', snapshotId, operationId, name: '🦊 vorher', description: 'all\n\tof it' },
    ...{ labels: { ticket: '4711' }, memory: 'external', memoryFile, memoryFormat: 'state', quiesce: 'try' },
    disks: [{ device: 'scratch', mode: 'external', ...file }],
    backups: [{ ...backup, fileMode: 'absolute-paths' }],
    ...{ limits: LIMITS, plan },
  });
  const start = {
    ...started(2, snapshotId),
    ...{ memory: 'external' as const, overlays: [overlay(2, raw.file, 'existing')], machine: config },
    memoryFile: { file: memoryFile, node: 'm2', format: 'state' as const },
    backups: [
      { ...backup, by: 'create' as const, backing: { file: '/backup/base', format: 'raw' }, node: 'b2' },
    ],
    quiesce: { asked: 'try' as const, agent: null, why: 'the memory is of the same instant' },
  };
  await tell.report(WEB, { type: 'StartOperation', start });
  const memory = {
    file: memoryFile,
    format: 'state',
    sizeBytes: MEMORY_BYTES,
    sha256: 'd'.repeat(64),
  } as const;
  const created = {
    ...({ operationId, vmState: 'running', consistency: 'memory' } as const),
    memory: { mode: 'external' as const, ...memory, config },
    ...{ evidence: inside(tagOf(snapshotId)), layers: goesOnIn(2, raw.file, snapshotId) },
    backups: [{ ...backup, sizeBytes: 196_608 }],
    runs: false,
    quiesce: { asked: 'try', achieved: 'none', why: 'the memory is of the same instant' } as const,
    ...tell.done('capture', 'vda'),
  };
  await tell.report(WEB, { type: 'ReportCreated', created });
}

/** A stream into a full disk. */
async function failedToTake(tell: Teller): Promise<void> {
  const [snapshotId, operationId] = [idOf(3), operationOf(3)];
  const stream = { memory: 'external', memoryFormat: 'stream', limits: LIMITS } as const;
  await tell.ask(WEB, { type: 'CreateSnapshot', snapshotId, operationId, ...stream });
  const at = { file: `${SNAPSHOTS}/memory-3`, node: 'm3', format: 'stream', bytesPerS: 33_554_432 } as const;
  const start = { ...started(3, snapshotId), memory: 'external' as const, memoryFile: at };
  await tell.report(WEB, { type: 'StartOperation', start });
  const report = { ...failed(3, 'No space left on device', NO_CHANGE), ...tell.done('capture', 'vda') };
  await tell.report(WEB, { type: 'ReportFailed', failed: report });
  const [{ why: _, ...left } = { why: '', device: '', file: '', tag: '' }] = report.leftovers;
  await tell.report(WEB, { type: 'ReportLeftoverRemoved', leftover: { ...left, snapshotId } });
}

/** The guest stands still for its disks. */
async function frozen(tell: Teller): Promise<void> {
  const [snapshotId, operationId] = [idOf(4), operationOf(4)];
  const wish = { diskOnly: true, quiesce: 'require', limits: LIMITS } as const;
  await tell.ask(WEB, { type: 'CreateSnapshot', snapshotId, operationId, ...wish });
  const quiesce = { asked: 'require', agent: '/run/qemu/web-1.qga' } as const;
  const start = {
    ...started(4, snapshotId),
    overlays: [{ ...overlay(4, scratch(2)), backingModifiedAt: 1_795_340_000_000 }],
    quiesce,
  };
  await tell.report(WEB, { type: 'StartOperation', start });
  const created = {
    ...({ operationId, vmState: 'running', memory: { mode: 'none' }, consistency: 'filesystem' } as const),
    ...{ evidence: inside(tagOf(snapshotId)), layers: goesOnIn(4, scratch(2), snapshotId) },
    quiesce: { asked: 'require', achieved: 'filesystem', filesystems: 2 } as const,
    ...tell.done('capture'),
  };
  await tell.report(WEB, { type: 'ReportCreated', created });
}

async function patched(tell: Teller): Promise<void> {
  const about = { type: 'PatchSnapshot', snapshotId: idOf(4) } as const;
  await tell.ask(WEB, { ...about, name: 'nightly', description: 'of Sunday', labels: { keep: '' } });
  await tell.ask(WEB, { ...about, protected: true });
  await tell.ask(WEB, { ...about, protected: false });
  await tell.ask(WEB, { type: 'DeleteSnapshot', snapshotId: idOf(4), operationId: operationOf(4) });
  await tell.ask(WEB, { type: 'UnretireSnapshot', snapshotId: idOf(4) });
}

/** Twice, each with a pin of the present, of which the newer one stays; a third load is torn. */
async function loaded(tell: Teller): Promise<void> {
  for (const [n, pinId, earlier] of [
    [5, idOf(5), []],
    [6, idOf(6), [idOf(5)]],
  ] as const) {
    const [snapshotId, operationId] = [idOf(2), operationOf(n)];
    const pin = { snapshotId: pinId, what: 'memory' } as const;
    await tell.ask(WEB, { type: 'LoadSnapshot', snapshotId, operationId, resume: 'paused', pin, plan });
    const overlays = [overlay(n, raw.file, 'copy')];
    await tell.report(WEB, {
      type: 'StartOperation',
      start: {
        ...{ ...started(n, snapshotId), overlays, launch: 'before', unlinks: [scratch(n - 1)] },
        pin: {
          snapshotId: pinId,
          files: { vdb: traceOf('vdb', '').file },
          memoryFile: `${SNAPSHOTS}/memory-${n}.qcow2`,
        },
      },
    });
    const pinned = {
      ...({ operationId, vmState: 'paused', consistency: 'memory' } as const),
      disks: ['vda', 'vdb'].map((device) => ({ device, mode: 'internal' as const })),
      memory: { mode: 'internal' as const, device: 'vdb', sizeBytes: MEMORY_BYTES },
      ...{ evidence: inside(tagOf(pinId)), layers: NO_CHANGE },
    };
    await tell.report(WEB, { type: 'ReportPinned', pinned });
    const content = { operationId, layers: goesOnIn(n, raw.file) };
    await tell.report(WEB, { type: 'ReportContentLoaded', content });
    const layers = { ...goesOnIn(n, raw.file), gone: n === 6 ? [scratch(5)] : [] };
    const report = { operationId, runs: false, layers, ...tell.done('load') };
    await tell.report(WEB, { type: 'ReportLoaded', loaded: report, replaced: earlier });
  }
  const operationId = operationOf(7);
  await tell.ask(WEB, { type: 'LoadSnapshot', snapshotId: idOf(4), operationId, disksOnly: true });
  await tell.report(WEB, { type: 'StartOperation', start: started(7, idOf(4)) });
  const torn = { ...failed(7, 'No space left on device', goesOnIn(7, scratch(2))), ...tell.done('load') };
  await tell.report(WEB, { type: 'ReportFailed', failed: torn });
  await tell.ask(WEB, { type: 'ReleaseHold', note: 'looked at, all is well' });
}

/** A machine that was started from the wrong file, and a snapshot that is gone. */
async function drifted(tell: Teller): Promise<void> {
  const wrong: Finding = {
    ...{ kind: 'wrong-chain', device: 'scratch', file: scratch(4), message: 'it stands elsewhere' },
    evidence: [],
  };
  const lost: Finding = { kind: 'missing', snapshotId: idOf(2), message: 'on no disk', evidence: [] };
  const disks = seenOn(disk('scratch', 'n4', { file: scratch(4), default: 'external' }));
  const spoiled: Finding = { ...wrong, snapshotId: idOf(4), message: 'a guest wrote into it' };
  const crowd = Array.from({ length: FINDINGS_MAX }, (): Finding => ({ ...lost, message: '' }));
  const found = { disks, foreignTags: [], findings: [wrong, spoiled, ...crowd], stopped: true };
  await tell.report(WEB, { type: 'ReportDrift', ...found });
  await tell.ask(WEB, { type: 'ReleaseHold', note: 'it was meant so' });
  const tag = `sl-${idOf(5)}`;
  const orphan: Finding = {
    ...{ kind: 'orphan', device: 'scratch', file: scratch(4), tag, message: 'nobody explains it' },
    evidence: [],
  };
  await tell.report(WEB, { type: 'ReportDrift', ...found, findings: [orphan], stopped: false });
  const orphans = [{ device: 'scratch', file: scratch(4), tag }];
  await tell.ask(WEB, { type: 'StartRepair', worker: 'host-2/4711', orphans });
}

/** One is merged away, after a first try that was in vain. */
async function deleted(tell: Teller): Promise<void> {
  const snapshotId = idOf(4);
  for (const n of [8, 9]) {
    const operationId = operationOf(n);
    await tell.ask(WEB, { type: 'DeleteSnapshot', snapshotId, operationId, strategy: 'merge-force', plan });
    await tell.report(WEB, {
      type: 'StartOperation',
      start: {
        ...{ ...started(n, snapshotId), undo: [], unlinks: [scratch(2)] },
        spared: [{ file: raw.file, vmId: DB }],
      },
    });
    const done = tell.done('copy the layers below up', 'scratch');
    if (n === 8) {
      const report = { ...failed(n, 'No space left on device', NO_CHANGE), ...done };
      await tell.report(WEB, {
        type: 'ReportFailed',
        failed: { ...report, outcome: 'undone', leftovers: [] },
      });
      continue;
    }
    const left: Layer = { ...layerOf(7, raw.file), origin: 'given' };
    const change = { ...NO_CHANGE, set: [layerOf(4, raw.file), left], gone: [scratch(2)] };
    await tell.report(WEB, {
      type: 'ReportDeleted',
      deleted: { operationId, layers: change, runs: false, ...done },
    });
  }
}

/** Another machine: all its snapshots go, and then it. */
async function forgotten(tell: Teller): Promise<void> {
  const vm = { vmId: DB, name: 'db', host: 'host-1', monitor: '/run/qemu/db.qmp', guestAgent: null };
  const root = disk('root', 'r', { file: '/var/lib/images/db/root.qcow2' });
  await tell.register({ ...vm, labels: {}, disks: [root], foreignTags: [] });
  const [snapshotId, operationId] = [idOf(20), operationOf(20)];
  await tell.ask(DB, { type: 'CreateSnapshot', snapshotId, operationId, limits: LIMITS });
  const evidence = [{ ...traceOf('root', tagOf(snapshotId), 196_608), file: root.file }];
  const memory = { mode: 'internal', device: 'root', sizeBytes: 196_608 } as const;
  const as = { vmState: 'running', memory, consistency: 'memory', evidence } as const;
  const created = { operationId, ...as, evidence, ...tell.done('capture') };
  await tell.report(DB, { type: 'ReportCreated', created });
  await tell.ask(DB, { type: 'DeleteAllSnapshots', operationId: operationOf(21) });
  await tell.report(DB, {
    type: 'ReportDeleted',
    deleted: { operationId: operationOf(21), ...tell.done('remove') },
  });
  await tell.ask(DB, { type: 'ForgetVm' });
  await tell.release(DB);
}

async function leftUnderWay(tell: Teller): Promise<void> {
  const [snapshotId, operationId] = [idOf(30), operationOf(30)];
  const wish = { diskOnly: true, limits: LIMITS } as const;
  await tell.ask(WEB, { type: 'CreateSnapshot', snapshotId, operationId, ...wish });
  await tell.report(WEB, { type: 'StartOperation', start: started(30, snapshotId) });
}
