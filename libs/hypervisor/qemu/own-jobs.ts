const OWN = /^j-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-b?\d+)?$/;

/** The job of an operation's n-th try. QEMU wants ids that begin with a letter. */
export const jobIdOf = (operationId: string, attempt: number): string =>
  attempt === 1 ? `j-${operationId}` : `j-${operationId}-${attempt}`;

/** The job of an operation's n-th backup. Those that run beside each other can be told from tries. */
export const backupJobIdOf = (operationId: string, index: number): string => `j-${operationId}-b${index}`;

/** Whether a job is one of this operation's backups. */
export const isBackupOf = (operationId: string, jobId: string): boolean =>
  isOwnJob(jobId) && jobId.startsWith(backupJobIdOf(operationId, 0).slice(0, -1));

/** Whether a job in QEMU's list is one of ours, whoever of us started it. */
export const isOwnJob = (jobId: string): boolean => OWN.test(jobId);

/** Whether a job is one of this operation's tries. */
export const isJobOf = (operationId: string, jobId: string): boolean =>
  isOwnJob(jobId) && jobId.startsWith(jobIdOf(operationId, 1));
