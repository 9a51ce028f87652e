/* Which kind of fault can come at which touch of the world: said once, for the simulator and for its table. */

/** Many touches, or something that cannot fail by itself. */
const isMark = (touch: string): boolean => /^(hypervisor|worker|states|views)\./.test(touch);

/** Asks, and changes nothing: an answer that is lost is an error like any other. */
const onlyAsks = (touch: string): boolean =>
  /^(files\.(stat|realpath|start|list|freeBytes)|streams\.(measure|receive)|store\.(read|page)|run\.qemu-img-(info|map|compare)|say\.(query-.*|qom-(get|list)|qmp_capabilities|guest-sync-delimited|guest-fsfreeze-status))$/.test(
    touch,
  );

const takesSpace = (touch: string): boolean =>
  /^(files\.(append|makeNew|makeDirectory|makePrivateDirectory)|streams\.receive|store\.commit|run\.(cp|qemu-img-(snapshot|create|rebase|commit|convert|check))|say\.(transaction|snapshot-save|migrate|block-commit|block-stream|cont|job-complete))$/.test(
    touch,
  );

/** Only what nobody has open is worked on by these: their machine is off. */
const isOfWhatIsOff = (touch: string): boolean =>
  /^(hypervisor\.repair|run\.qemu-img-(check|commit|convert|rebase|snapshot))$/.test(touch);

const isMessage = (touch: string): boolean => touch.startsWith('say.');

interface Rule {
  readonly canCome: (touch: string) => boolean;
  /** Where it cannot come, and why, in words; empty: it can come anywhere. */
  readonly elsewhere: string;
}

const ANYWHERE: Rule = { canCome: () => true, elsewhere: '' };

/** Every kind of fault, in the order of the table's columns. */
export const KIND_RULES = {
  'crash before': ANYWHERE,
  'crash after': ANYWHERE,
  error: {
    canCome: (touch) => !isMark(touch),
    elsewhere: 'a mark has no error of its own: what stands between its two points has',
  },
  'answer lost': {
    canCome: (touch) => !isMark(touch) && !onlyAsks(touch),
    elsewhere: 'of a mark nobody waits for an answer; of what only asks it is the same as an error',
  },
  'answer late': ANYWHERE,
  delay: ANYWHERE,
  reorder: ANYWHERE,
  duplicate: {
    canCome: isMessage,
    elsewhere: 'only a message can come twice; a call returns once',
  },
  'QEMU death': {
    canCome: (touch) => !isOfWhatIsOff(touch),
    elsewhere: 'it is dead where the images of a machine that is off are worked on',
  },
  'disk full': { canCome: takesSpace, elsewhere: 'only where space is taken' },
  'clock jump': ANYWHERE,
} as const satisfies Record<string, Rule>;

export type Kind = keyof typeof KIND_RULES;
export const KINDS = Object.keys(KIND_RULES) as readonly Kind[];
