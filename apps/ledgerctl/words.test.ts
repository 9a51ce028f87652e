import { expect, test } from 'vitest';
import { capture, disk, label } from './words.ts';

test('a label ends its key at the first equals sign, and may be called anything', () => {
  expect(label('a=b=c')).toEqual({ a: 'b=c' });
  expect(Object.entries(label('__proto__=x', label('a=')))).toEqual([
    ['a', ''],
    ['__proto__', 'x'],
  ]);
  expect(() => label('a=2', label('a=1'))).toThrow('said twice');
  expect(() => label('=x')).toThrow('key=value');
});

test('a device may hold equals signs, a capture mode may not be made up', () => {
  expect(capture('/a=b=external')).toEqual({ '/a=b': 'external' });
  expect(() => capture('vda=both')).toThrow('"both" is none of');
});

test('a comma in the file of a disk is doubled', () => {
  expect(disk('device=vda,file=/a,,b=c.qcow2,format=qcow2')).toEqual([
    { device: 'vda', file: '/a,b=c.qcow2', format: 'qcow2' },
  ]);
  expect(() => disk('device=vda,file=/a')).toThrow('format=');
  expect(() => disk('device=vda,file=/a,format=raw,cache=none')).toThrow('"cache" is none of');
  expect(() => disk('device=vda,device=vdb')).toThrow('said twice');
});
