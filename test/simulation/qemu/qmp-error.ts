/** QEMU says no: what stands in `error` of a reply, or in the `error` of a job. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly errorClass: string;
  constructor(description: string, errorClass = 'GenericError') {
    super(description);
    this.errorClass = errorClass;
  }
}
