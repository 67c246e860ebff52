// The program that every kind of app runs in these tests: the package by its name, one answer in text.
import { version } from "offshoot";

export async function example() {
  return `offshoot ${await version()}`;
}
