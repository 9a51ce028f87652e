import type { FailedReport, FailureCode, LayerChange, Leftover, Report } from '#ledger';
import type { Errand } from './errand.ts';

/** What every report ends with. The transcript is on disk before anybody is told its digest. */
export async function ending(
  errand: Errand,
): Promise<
  Pick<FailedReport, 'operationId' | 'transcriptDigest'> & { steps: FailedReport['steps'][number][] }
> {
  await errand.transcript.flush();
  const { operationId, steps, transcript } = errand;
  return { operationId, steps: steps.taken, transcriptDigest: transcript.digest };
}

interface Failure {
  readonly reason: FailureCode;
  readonly message: string;
  /** What is still there of it. Nothing: the operation is undone. */
  readonly leftovers: readonly Leftover[];
  /** What is different under the disks all the same. */
  readonly layers?: LayerChange | undefined;
}

/** Failed, and nothing of it is left; or held by what is. */
export async function failed(
  errand: Errand,
  { reason, message, leftovers, layers }: Failure,
): Promise<Extract<Report, { type: 'ReportFailed' }>> {
  const all = [...leftovers, ...errand.damage];
  const outcome = all.length === 0 ? 'undone' : 'held';
  return {
    type: 'ReportFailed',
    failed: {
      ...(await ending(errand)),
      ...{ reason, message, outcome, leftovers: all },
      ...(layers && { layers }),
    },
  };
}

/** Failed half-way with nothing that could be removed: the disks as a whole are what cannot be trusted. */
export async function held(
  errand: Errand,
  reason: FailureCode,
  message: string,
  left: Partial<Pick<Failure, 'leftovers' | 'layers'>> = {},
): Promise<Extract<Report, { type: 'ReportFailed' }>> {
  const leftovers = [...(left.leftovers ?? []), ...errand.damage];
  return {
    type: 'ReportFailed',
    failed: {
      ...(await ending(errand)),
      ...{ reason, message, outcome: 'held', leftovers },
      ...(left.layers && { layers: left.layers }),
    },
  };
}

/** The same failure, with more that is left of it: that holds the machine. */
export function withLeftovers(
  report: Extract<Report, { type: 'ReportFailed' }>,
  more: readonly Leftover[],
): Report {
  if (more.length === 0) return report;
  const { failed } = report;
  return { ...report, failed: { ...failed, outcome: 'held', leftovers: [...failed.leftovers, ...more] } };
}
