import { expect, test } from 'vitest';
import { backup, capture, disk, diskDefault, label } from './words.ts';

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
  expect(capture('/a=b=external')).toEqual([{ device: '/a=b', snapshot: 'external' }]);
  for (const word of ['vda=both', 'vda', '=none', 'vda=', 'vda=none:/x', 'vda=external:x', 'vda=external:']) {
    expect(() => capture(word), word).toThrow('say DEVICE=internal');
  }
  expect(() => capture('vda=none', capture('vda=internal'))).toThrow('said twice');
});

test('a disk that is captured outside may be told its file, whatever that is called', () => {
  expect(capture('vdb=external:/a=b:c=none', capture('vda=none'))).toEqual([
    { device: 'vda', snapshot: 'none' },
    { device: 'vdb', snapshot: 'external', file: '/a=b:c=none' },
  ]);
});

test('and its format, and whether it is there already; a comma in its name is doubled', () => {
  expect(
    capture('vdb=external,format=qed', capture('vda=external:/a,,b.qcow2,format=qcow2,mode=existing')),
  ).toEqual([
    { device: 'vda', snapshot: 'external', file: '/a,b.qcow2', format: 'qcow2', mode: 'existing' },
    { device: 'vdb', snapshot: 'external', format: 'qed' },
  ]);
  expect(() => capture('vda=external:/a,b.qcow2')).toThrow('say DEVICE=internal');
  expect(() => capture('vda=external,cache=none')).toThrow('"cache" is none of format, mode');
});

test('what a disk does by itself has no file', () => {
  expect(diskDefault('a=b=none', diskDefault('vda=external'))).toEqual([
    { device: 'vda', default: 'external' },
    { device: 'a=b', default: 'none' },
  ]);
  for (const word of ['vda=external:/x', 'vda', '=none'])
    expect(() => diskDefault(word), word).toThrow('say DEVICE=internal');
  expect(() => diskDefault('vda=none', diskDefault('vda=internal'))).toThrow('said twice');
});

test('a backup says where to, and how', () => {
  expect(backup('vdb=/c,sync=top,format=raw,mode=existing', backup('a=b=/x=y,,z'))).toEqual([
    { device: 'a=b', target: '/x=y,z' },
    { device: 'vdb', target: '/c', sync: 'top', format: 'raw', mode: 'existing' },
  ]);
  for (const word of ['vda', 'vda=x', '=/x', 'vda=/x,full']) {
    expect(() => backup(word), word).toThrow('say DEVICE=/TARGET');
  }
  expect(() => backup('vda=/x,speed=1')).toThrow('"speed" is none of');
  expect(() => backup('vda=/x,sync=top,sync=full')).toThrow('said twice');
  expect(() => backup('vda=/x', backup('vda=/y'))).toThrow('said twice');
});

test('a comma in the file of a disk is doubled', () => {
  expect(disk('device=vda,file=/a,,b=c.qcow2,format=qcow2')).toEqual([
    { device: 'vda', file: '/a,b=c.qcow2', format: 'qcow2' },
  ]);
  expect(disk('device=a,default=none', disk('device=b,file=/b,format=raw,default=external'))).toEqual([
    { device: 'b', file: '/b', format: 'raw', default: 'external' },
    { device: 'a', default: 'none' },
  ]);
  expect(() => disk('device=a', disk('device=a'))).toThrow('said twice');
  expect(() => disk('device=vda,file=/a')).toThrow('format=');
  expect(() => disk('device=vda,file=/a,format=raw,cache=none')).toThrow('"cache" is none of');
  expect(() => disk('device=vda,device=vdb')).toThrow('said twice');
});
