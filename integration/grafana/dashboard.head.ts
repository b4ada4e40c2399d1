// What stands before the dashboard's JSON, so that the compiler judges it as an object of Grafana's own type.
import type { Dashboard } from "@grafana/schema";

// JSON has no enumerations: a text that is one's value stands for it.
type Plain<T> = T extends string
  ? `${T}`
  : T extends (infer U)[]
    ? Plain<U>[]
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;

export const dashboard: Plain<Dashboard> =
