"""Is the explanation of a model any good? Tests of attributions that need no annotation."""
