import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow the words of one command. */
interface Level {
  /** The words that lead here, without the program's name: `` or `vm` or `vm add`. */
  readonly path: string;
  readonly commands: readonly Offer[];
  readonly options: readonly Offer[];
}
interface Offer {
  readonly word: string;
  readonly says: string;
}

/**
 * A completion script with every command and option of the program. Names of VMs and snapshots are not completed:
 * they are other people's text, and shells run what is in such text.
 */
export function completionFor(shell: Shell, program: Command): string {
  const levels = levelsOf(program, program, '');
  switch (shell) {
    case 'bash':
      return bash(levels);
    case 'zsh':
      return zsh(levels);
    case 'fish':
      return fish(levels);
  }
}

function levelsOf(program: Command, command: Command, path: string): Level[] {
  const own = [...command.options, ...(command === program ? [] : program.options)];
  const options = own.flatMap(({ long, description }) => (long ? [{ word: long, says: description }] : []));
  const commands = command.commands.map((child) => ({ word: child.name(), says: child.description() }));
  const help = commands.length > 0 ? [{ word: 'help', says: 'show help' }] : [];
  const level = {
    path,
    commands: [...commands, ...help],
    options: [...options, { word: '--help', says: 'show help' }],
  };
  const below = command.commands.flatMap((child) =>
    levelsOf(program, child, `${path} ${child.name()}`.trim()),
  );
  return [level, ...below];
}

const wordsOf = ({ commands, options }: Level): string =>
  [...commands, ...options].map(({ word }) => word).join(' ');

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** Every shell walks the words before the cursor as far as they are commands; the rest are arguments and options. */
const stepsOf = (levels: readonly Level[]): { readonly from: string; readonly to: string }[] =>
  levels.flatMap(({ path }) => {
    if (path === '') return [];
    // `$path $word` when the last word of the path has just been read.
    return [{ from: quoted(path.includes(' ') ? path : ` ${path}`), to: quoted(path) }];
  });

const bash = (levels: readonly Level[]): string => `# ledgerctl completion for bash
_ledgerctl() {
  local word path='' offers=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
${lines(stepsOf(levels).map(({ from, to }) => `      ${from}) path=${to} ;;`))}
    esac
  done
  case "$path" in
${lines(levels.map((level) => `    ${quoted(level.path)}) offers=${quoted(wordsOf(level))} ;;`))}
  esac
  COMPREPLY=($(compgen -W "$offers" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _ledgerctl ledgerctl
`;

const zsh = (levels: readonly Level[]): string => `#compdef ledgerctl
_ledgerctl() {
  local word command=''
  local -a offers
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$command $word" in
${lines(stepsOf(levels).map(({ from, to }) => `      ${from}) command=${to} ;;`))}
    esac
  done
  case "$command" in
${lines(levels.map((level) => `    ${quoted(level.path)}) offers=(${zshOffers(level)}) ;;`))}
  esac
  _describe ledgerctl offers
  _files
}
compdef _ledgerctl ledgerctl
`;

const zshOffers = ({ commands, options }: Level): string =>
  [...commands, ...options]
    .map(({ word, says }) => quoted(`${word}:${says.replaceAll(':', String.raw`\:`)}`))
    .join(' ');

const fish = (levels: readonly Level[]): string => `# ledgerctl completion for fish
function __ledgerctl_path
  set -l path ''
  for word in (commandline -opc)[2..-1]
    switch "$path $word"
${lines(stepsOf(levels).map(({ from, to }) => `      case ${from}\n        set path ${to}`))}
    end
  end
  echo $path
end
${lines(levels.flatMap(fishOffers))}
`;

function fishOffers({ path, commands, options }: Level): string[] {
  const here = `complete -c ledgerctl -n ${quoted(`string match -q -- "${path}" (__ledgerctl_path)`)}`;
  return [
    ...commands.map(({ word, says }) => `${here} -f -a ${word} -d ${quoted(says)}`),
    ...options.map(({ word, says }) => `${here} -l ${word.slice('--'.length)} -d ${quoted(says)}`),
  ];
}

const lines = (all: readonly string[]): string => all.join('\n');
