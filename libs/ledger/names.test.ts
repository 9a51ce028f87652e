import { describe, expect, test } from 'vitest';
import {
  DESCRIPTION_BYTES_MAX,
  LABEL_KEY_BYTES_MAX,
  LABEL_VALUE_BYTES_MAX,
  LABELS_MAX,
  madeUpName,
  NAME_BYTES_MAX,
  whyNoName,
} from './names.ts';
import { create, discardForce, load, merge, patch, rename, reportDeleted, savevm } from './story/commands.ts';
import { createFailed, fact, merged, requested, taken } from './story/events.ts';
import { given, played } from './story/given.ts';

const named = (name: string) => given().when(create('a', { name }));
const described = (description: string) => given().when(create('a', { description }));
const labelled = (labels: Record<string, string>) => given().when(create('a', { labels }));
const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));
const accepts = (labels: Record<string, string>): void =>
  labelled(labels).records(requested('a', null, { labels }));
const isName = (name: string): void => named(name).records(requested('a', null, { name }));

describe('names are counted in bytes, not in characters:', () => {
  test('255 bytes are a name, 256 are not', () => {
    isName('x'.repeat(NAME_BYTES_MAX));
    named('x'.repeat(NAME_BYTES_MAX + 1)).refuses('invalid-name');
  });

  test('63 emoji take 252 bytes and are a name, 64 take 256 and are not', () => {
    isName('🦊'.repeat(63));
    isName(`${'🦊'.repeat(63)}abc`);
    named('🦊'.repeat(64)).refuses('invalid-name');
  });

  test('an empty one is none', () => {
    named('').refuses('invalid-name');
  });
});

describe('a name may be', () => {
  test.each([
    '1',
    '007',
    '..',
    '.',
    '/',
    'a/b',
    '-rf',
    '%s',
    'a b',
    ' ',
    '"',
    "'",
    '\\',
    '<&>',
    'null',
    'ä',
    '日本',
  ])('%j: on disk it is never used', isName);

  test.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then'])(
    '%s: it is text like any other, and still taken only once',
    (name) => {
      isName(name);
      given(requested('a', null, { name }), createFailed('a'))
        .when(create('b', { name }))
        .records(requested('b', null, { name }));
      given(requested('a', null, { name }))
        .when(rename('a', 'x'))
        .records(fact('SnapshotRenamed', { snapshotId: 'a', name: 'x' }));
    },
  );

  test('nearly shaped like a UUID', () => {
    isName('3fab28c9-a6bd-4659-b9bc-683780d8a2d');
    isName('sl-3fab28c9-a6bd-4659-b9bc-683780d8a2d5');
  });

  test('the same letters in another case: names are compared byte by byte', () => {
    given(taken('a'))
      .when(create('b', { name: 'A' }))
      .records(requested('b', 'a', { name: 'A' }));
  });
});

describe('a name may not hold', () => {
  test.each([
    ['a null', '\u0000'],
    ['a tab', '\t'],
    ['a newline', '\n'],
    ['a carriage return', '\r'],
    ['an escape', '\u001b'],
    ['a delete', '\u007f'],
    ['a C1 control', '\u0085'],
    ['half a surrogate pair, the first', '\ud83e'],
    ['half a surrogate pair, the second', '\udd8a'],
    ['halves in the wrong order', '\udd8a\ud83e'],
    ['U+FFFE, which XML cannot hold', '\ufffe'],
    ['U+FFFF, which XML cannot hold', '\uffff'],
  ])('%s', (_, text) => {
    named(`a${text}b`).refuses('invalid-name');
    named(text).refuses('invalid-name');
    expect(whyNoName(`a${text}b`)).toMatch(/control characters|XML/);
  });

  test('what looks like an id, in either case', () => {
    named('3fab28c9-a6bd-4659-b9bc-683780d8a2d5').refuses('invalid-name');
    named('3FAB28C9-A6BD-4659-B9BC-683780D8A2D5').refuses('invalid-name');
    named('00000000-0000-0000-0000-000000000000').refuses('invalid-name');
  });
});

describe('a name is free again', () => {
  test('when its snapshot is deleted', () => {
    given(taken('a'), merged('a'))
      .when(create('b', { name: 'a' }))
      .records(requested('b', null, { name: 'a' }));
  });

  test('when its snapshot is discarded along with another', () => {
    const vm = played(savevm('a'), savevm('b'), discardForce('a'), reportDeleted('a'));
    expect(vm.snapshots.size).toBe(0);
    expect(vm.usedIds).toEqual(new Set(['a', 'b']));
  });

  test('when its create has failed', () => {
    given(requested('a'), createFailed('a'))
      .when(create('b', { name: 'a' }))
      .records(requested('b', null, { name: 'a' }));
  });
});

describe('a made-up name', () => {
  test('is the last 12 digits of the id, because the first 8 stand still for a minute', () => {
    expect(madeUpName('01998f3c-aaaa-7bbb-8ccc-0123456789ab')).toBe('snap-0123456789ab');
  });

  test('is a name', () => {
    expect(whyNoName(madeUpName('01998f3c-aaaa-7bbb-8ccc-0123456789ab'))).toBeNull();
  });
});

test('an id finds nothing by name, and a name nothing by id', () => {
  const story = given(requested('1', null, { name: 'one' }), createFailed('1'), taken('2'));
  for (const command of [load('one'), merge('one'), rename('one', 'x')])
    story.when(command).refuses('snapshot-unknown');
});

describe('descriptions', () => {
  test('have at most 64 KiB of UTF-8', () => {
    const longest = 'ä'.repeat(DESCRIPTION_BYTES_MAX / 2);
    described(longest).records(requested('a', null, { description: longest }));
    described(`${longest}x`).refuses('invalid-body');
    given(taken('a'))
      .when(patch('a', { description: `${longest}x` }))
      .refuses('invalid-body');
  });

  test('may hold tabs and newlines', () => {
    described('one\n\ttwo').records(requested('a', null, { description: 'one\n\ttwo' }));
  });

  test.each(['\u0000', '\r', '\u000b', '\u001b', '\u007f', '\u0085', '\ud83e', '\ufffe', '\uffff'])(
    'may not hold %j',
    (text) => {
      described(`a${text}b`).refuses('invalid-body');
    },
  );
});

describe('labels', () => {
  test('are at most 64', () => {
    accepts(many(LABELS_MAX));
    labelled(many(LABELS_MAX + 1)).refuses('invalid-body');
  });

  test('have keys of 1 to 63 bytes', () => {
    accepts({ ['k'.repeat(LABEL_KEY_BYTES_MAX)]: 'v' });
    labelled({ ['k'.repeat(LABEL_KEY_BYTES_MAX + 1)]: 'v' }).refuses('invalid-body');
    labelled({ ['ä'.repeat(32)]: 'v' }).refuses('invalid-body');
    labelled({ '': 'v' }).refuses('invalid-body');
  });

  test('have values of at most 1 KiB, which may be empty', () => {
    accepts({ k: 'v'.repeat(LABEL_VALUE_BYTES_MAX), l: '' });
    labelled({ k: 'v'.repeat(LABEL_VALUE_BYTES_MAX + 1) }).refuses('invalid-body');
  });

  test('hold no control characters', () => {
    labelled({ 'a\nb': 'v' }).refuses('invalid-body');
    labelled({ k: '\u0000' }).refuses('invalid-body');
    labelled({ '\ud83e': 'v' }).refuses('invalid-body');
  });

  test('may be called as every object calls its own', () => {
    accepts({ constructor: 'v', toString: 'w', prototype: 'x' });
  });

  test('may not be called __proto__: a reader of the log would lose it without a word', () => {
    labelled(JSON.parse('{"__proto__":"v"}') as Record<string, string>).refuses('invalid-body');
    given(taken('a'))
      .when(patch('a', { labels: JSON.parse('{"__proto__":"v"}') as Record<string, string> }))
      .refuses('invalid-body');
  });
});
