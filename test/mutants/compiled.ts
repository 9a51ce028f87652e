import { join } from 'node:path';
import ts from 'typescript';
import { ROOT, textWith } from './copy.ts';
import type { Mutant } from './mutant.ts';

/**
 * What the compiler has against these mistakes: one that does not compile is none that anybody could make. Throws where
 * one does not apply.
 */
export function complaints(mutants: readonly Mutant[]): string[] {
  const texts = new Map<string, string>();
  const service = ts.createLanguageService(hostOf([...new Set(mutants.map(pathOf))], texts));
  return roundsOf(mutants).flatMap((round) => {
    texts.clear();
    for (const mutant of round) texts.set(pathOf(mutant), textWith(mutant));
    return round.flatMap((mutant) => complaintsAbout(mutant, service));
  });
}

/** A program for each mutant would take a minute: here no file has two in one round. */
function roundsOf(mutants: readonly Mutant[]): Mutant[][] {
  const rounds: Mutant[][] = [];
  for (const group of Map.groupBy(mutants, pathOf).values())
    for (const [at, mutant] of group.entries()) (rounds[at] ??= []).push(mutant);
  return rounds;
}

function complaintsAbout(mutant: Mutant, service: ts.LanguageService): string[] {
  const path = pathOf(mutant);
  const found = [...service.getSyntacticDiagnostics(path), ...service.getSemanticDiagnostics(path)];
  return found.map(({ messageText }) => {
    return `"${mutant.name}": ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}

const pathOf = ({ file }: Mutant): string => join(ROOT, file);

/** Reads files as they are, but for those that `texts` has. */
function hostOf(paths: string[], texts: ReadonlyMap<string, string>): ts.LanguageServiceHost {
  const options = optionsOfProject();
  const read = (path: string): string | undefined => texts.get(path) ?? ts.sys.readFile(path);
  return {
    getCompilationSettings: () => options,
    getScriptFileNames: () => paths,
    getScriptVersion: (path) => texts.get(path) ?? 'as it is',
    getScriptSnapshot: (path) => {
      const text = read(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => ROOT,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    readFile: read,
    fileExists: ts.sys.fileExists,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  };
}

/** As the project is compiled; whoever drops a call leaves imports behind, which is no error here. */
function optionsOfProject(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, ROOT);
  return { ...options, noEmit: true, incremental: false, noUnusedLocals: false, noUnusedParameters: false };
}
