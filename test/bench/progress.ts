/** Tells on the standard error, in tenths, how much of something is done. */
export function progress(what: string, all: number): (done: number) => void {
  let tenths = 0;
  return (done) => {
    const reached = Math.floor((done / all) * 10);
    if (reached <= tenths) return;
    tenths = reached;
    console.error(`  ${done.toLocaleString('en')} ${what}`);
  };
}
