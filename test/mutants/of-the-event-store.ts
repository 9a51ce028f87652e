import type { Mutant } from './mutant.ts';

/** How the log could be written, or followed, wrongly. */
export const EVENT_STORE_MUTANTS: readonly Mutant[] = [
  {
    name: 'an append is answered before its commit',
    file: 'libs/event-store/group-commit.ts',
    find: "      await this.#world.fault('store.before-commit');\n      const verdicts = this.#commit(batch.map(({ append }) => append));\n",
    replace:
      "      batch.forEach(({ append, resolve }) => resolve(append.events.map((_, at) => String(at + 1))));\n      await this.#world.fault('store.before-commit');\n      const verdicts = this.#commit(batch.map(({ append }) => append));\n",
  },
  {
    name: 'a key that was used is not looked at',
    file: 'libs/event-store/handle.ts',
    find: "    if (answered?.digest === digest) return { does: 'repeat', answered };\n    if (answered) return",
    replace: '    if (answered && answered.digest !== digest) return',
  },
  {
    name: 'a request that is repeated is answered with its last event',
    file: 'libs/event-store/handle.ts',
    find: 'const { firstVersion, lastVersion } = answered;',
    replace: 'const { lastVersion } = answered;\n    const firstVersion = lastVersion;',
  },
  {
    name: 'a clock that was put back goes into the log',
    file: 'libs/event-store/handle.ts',
    find: 'const recordedAt = now > known.recordedAt ? now : known.recordedAt;',
    replace: 'const recordedAt = now;',
  },
  {
    name: 'what nobody knows the fate of is taken for recorded',
    file: 'libs/event-store/handle.ts',
    find: "      if (!(error instanceof StoreTrouble) || error.effect === 'none') throw error;\n",
    replace:
      '      if (error instanceof StoreTrouble) return sealed.map((_, at) => String(version + 1 + at));\n',
  },
  {
    name: 'the version that somebody decided on is not looked at',
    file: 'libs/event-store/handle.ts',
    find: '    if (expectedVersion !== known.version) {\n',
    replace: '    if (expectedVersion > known.version) {\n',
  },
  {
    name: 'an event is believed before it is recorded',
    file: 'libs/event-store/handle.ts',
    find: '    const positions = await this.#append(stream, known.version, sealed);\n',
    replace:
      '    const { version } = known;\n    for (const draft of drafts) fold(known, draft, this.#decider);\n    await this.#recall.keep(stream, known);\n    const positions = await this.#append(stream, version, sealed);\n    Object.assign(known, await this.#recall.take(stream));\n',
  },
  {
    name: 'whoever follows goes on one event too far',
    file: 'libs/event-store/tail.ts',
    find: '      after = end.position;\n',
    replace: '      after = String(Number(end.position) + (events.length > 2 ? 1 : 0));\n',
  },
];
