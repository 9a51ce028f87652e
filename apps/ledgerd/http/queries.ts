import {
  Choice,
  ChoicesInQuery,
  FlagInQuery,
  Id,
  InstantInQuery,
  LabelsInQuery,
  Line,
  NumberInQuery,
  Text,
} from './fields.ts';

const PAGE_SIZE_DEFAULT = 100;
/** Whoever asks for more gets this many and a token for the rest. */
const PAGE_SIZE_MAX = 1_000;
const NUMBER_MAX = 999_999_999;

const STATUSES = [
  'pending',
  'complete',
  'deleting',
  'deleted',
  'retired',
  'lost',
  'suspect',
  'failed',
] as const;
const STRATEGIES = ['retire', 'merge', 'merge-force', 'discard', 'discard-force'] as const;

/** The query of a route that has none. */
// oxlint-disable-next-line typescript/no-extraneous-class -- a shape is a class, and this shape has nothing.
export class NoQuery {}

export class PageQuery {
  @NumberInQuery({ says: 'entries of one answer: 100 when absent, 1,000 at most', min: 1, max: NUMBER_MAX })
  pageSize?: number;

  @Line({ says: 'nextPageToken of the answer before' })
  pageToken?: string;
}

export class VmsQuery extends PageQuery {
  @Text({ says: 'only the VM of this name' })
  name?: string;
}

export class SnapshotsQuery extends PageQuery {
  @Text({ says: 'only those of this name' })
  name?: string;

  @ChoicesInQuery(STATUSES, {
    says: 'only these, separated by commas; the live ones but retired when absent',
  })
  status?: (typeof STATUSES)[number][];

  @LabelsInQuery({ says: 'label.KEY=VALUE: only those with all of these labels' })
  'label.'?: Record<string, string>;

  @FlagInQuery({ says: 'show implicit ones too' })
  implicit?: boolean;

  @InstantInQuery({ says: 'how it was at that time' })
  asOf?: number;
}

export class LineageQuery extends PageQuery {
  @Id({ says: 'only this snapshot and what descends from it' })
  root?: string;

  @NumberInQuery({ says: 'levels below the root', min: 0, max: NUMBER_MAX })
  depth?: number;

  @FlagInQuery({ says: 'show implicit ones too' })
  implicit?: boolean;

  @InstantInQuery({ says: 'how it was at that time' })
  asOf?: number;
}

export class OperationsQuery extends PageQuery {
  @Id({ says: 'only those of this VM' })
  vmId?: string;

  @FlagInQuery({ says: 'only those that have ended, or have not' })
  done?: boolean;
}

export class OperationQuery {
  @Line({ says: 'answer when it has ended, or after this time, such as 30s or 500ms; 60s at most', max: 16 })
  wait?: string;
}

/** Of a command whose effects can be asked for beforehand. */
export class PlannedQuery {
  @FlagInQuery({ says: 'only say what would be done: nothing is recorded, nothing is touched' })
  validateOnly?: boolean;
}

export class DeleteAllQuery extends PlannedQuery {
  @Line({ says: 'the hash of a plan: do just that, or nothing', max: 128 })
  planHash?: string;
}

export class DeleteQuery extends DeleteAllQuery {
  @Choice(STRATEGIES, { says: 'retire when absent' })
  strategy?: (typeof STRATEGIES)[number];
}

export class StreamQuery {
  @NumberInQuery({ says: 'the first version that is wanted; 1 when absent', min: 1, max: NUMBER_MAX })
  fromVersion?: number;
}

export class LogQuery {
  @Line({ says: 'the last position that is known already', max: 64 })
  afterPosition?: string;
}

export interface PageAsked {
  readonly pageSize: number;
  readonly pageToken?: string;
}

/** Which page is wanted, for the views. */
export const pageOf = ({ pageSize, pageToken }: PageQuery): PageAsked => ({
  pageSize: Math.min(pageSize ?? PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX),
  ...(pageToken !== undefined && { pageToken }),
});

/** `object` without the members that are undefined: absent is absent. */
export const given = <T extends object>(object: T): Given<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Given<T>;

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
