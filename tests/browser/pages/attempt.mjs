/** What became of `work`, in a form that leaves the page: errors lose their fields on the way out. */
export async function attempt(work) {
  try {
    return { value: await work() };
  } catch (error) {
    return { code: error.code ?? error.name, message: error.message, retryable: error.retryable };
  }
}
