import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { realFiles } from './files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'snapledger-files-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a directory is made with those above it, and making it again is nothing', async () => {
  const path = join(directory, 'a/b/c');
  await Promise.all([realFiles.makeDirectory(path), realFiles.makeDirectory(path)]);
  await realFiles.makeDirectory(`${path}/`);
  await realFiles.makeDirectory('/');
  expect(statSync(path).isDirectory()).toBe(true);
});

test('where a file stands no directory is made', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  await expect(realFiles.makeDirectory(file)).rejects.toMatchObject({ name: 'FileTrouble', code: 'EEXIST' });
  await expect(realFiles.makeDirectory(join(file, 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});

test('where the kernel makes no directories one is told so, instead of waiting for ever', async () => {
  await expect(realFiles.makeDirectory('/proc/snapledger/data')).rejects.toMatchObject({
    name: 'FileTrouble',
    code: 'ENOENT',
    message: 'no directory can be made in /proc',
  });
});

test('of a file its start can be read, and of what is no file nothing, without waiting', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, 'abcdef');
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(Buffer.from((await realFiles.start(file, 3)) ?? []).toString()).toBe('abc');
  expect(Buffer.from((await realFiles.start(file, 100)) ?? []).toString()).toBe('abcdef');
  for (const none of [pipe, directory, join(directory, 'none'), join(file, 'below')]) {
    expect(await realFiles.start(none, 3)).toBeNull();
  }
});

test('of what the kernel makes up and gives away in pieces all is read', async () => {
  expect(await realFiles.start('/proc/self/smaps', 50_000)).toHaveLength(50_000);
});

test('what a file is filled with is all that it holds', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, 'something longer');
  for (const path of [file, join(directory, 'new')]) {
    await realFiles.fill(path, Buffer.from('bytes'));
    expect(readFileSync(path, 'utf8')).toBe('bytes');
  }
  const nowhere = join(directory, 'none', 'file');
  await expect(realFiles.fill(nowhere, Buffer.from('x'))).rejects.toMatchObject({ code: 'ENOENT' });
});
