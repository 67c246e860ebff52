/** The value or the error of `work` as a plain object: an error would lose its fields on its way out of the page. */
export async function attempt(work) {
  try {
    return { value: await work() };
  } catch (error) {
    return { code: error.code ?? error.name, message: error.message, retryable: error.retryable };
  }
}
