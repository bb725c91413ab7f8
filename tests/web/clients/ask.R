# Ask over the Postgres protocol: Rscript ask.R PORT TOKEN SQL
given <- commandArgs(TRUE)
con <- DBI::dbConnect(RPostgreSQL::PostgreSQL(),
  host = "localhost", port = as.integer(given[1]), dbname = "demo", user = "ada", password = given[2]
)
rows <- DBI::dbGetQuery(con, given[3])
write.table(format(rows, digits = 15), sep = ",", quote = FALSE, row.names = FALSE, col.names = FALSE)
cat(DBI::dbExistsTable(con, "cells"), grep("^cells$", DBI::dbListTables(con), value = TRUE), "\n")
refused <- try(DBI::dbGetQuery(con, "DROP TABLE cells"))
