# Numbers of R packages, which tests/sigdb/findings/test_statistics_against_r.py compares with sigdb's. `make r-fixtures`
# writes them to oracle.csv. units.csv: units of three studies; a donor of study b or c can have a unit in both groups.
suppressMessages({ library(clubSandwich); library(lme4); library(metafor); library(nlme) })

args <- commandArgs(trailingOnly = FALSE)
here <- dirname(sub("^--file=", "", grep("^--file=", args, value = TRUE)))
units <- read.csv(file.path(here, "units.csv"), stringsAsFactors = FALSE)
units$cluster <- paste(units$study, units$donor)
found <- data.frame(case = character(), name = character(), value = numeric())
add <- function(case, ...) {
  values <- c(...)
  found <<- rbind(found, data.frame(case = case, name = names(values), value = unname(values)))
}
robust <- function(case, fit, cluster) {
  tested <- coef_test(fit, vcov = "CR2", cluster = cluster, test = "Satterthwaite")["group", ]
  df <- if ("df_Satt" %in% names(tested)) tested$df_Satt else tested$df
  add(case, difference = tested$beta, difference_se = tested$SE, df = df)
}

# One study of independent donors, adjusted for age; three studies whose units are all independent.
one <- subset(units, study == "a")
robust("covariate", lm(score ~ group + age, one), one$cluster)
firsts <- units[!duplicated(units$cluster), ]
robust("independent studies", lm(score ~ group + study, firsts), firsts$cluster)

# All units, with the correlation within a donor by the moments of the residuals of least squares.
plain <- lm(score ~ group + study, units)
products <- tapply(residuals(plain), units$cluster, function(e) (sum(e)^2 - sum(e^2)) / 2)
n_pairs <- tapply(residuals(plain), units$cluster, function(e) choose(length(e), 2))
rho <- sum(products) / sum(n_pairs) / sigma(plain)^2
units <- units[order(units$cluster), ]
fit <- gls(score ~ group + study, units, correlation = corCompSymm(rho, form = ~ 1 | cluster, fixed = TRUE))
add("repeated donors", correlation = rho)
robust("repeated donors", fit, units$cluster)
mixed <- summary(lmer(score ~ group + study + (1 | cluster), units))$coefficients["group", ]
add("mixed model", difference = mixed[["Estimate"]], difference_se = mixed[["Std. Error"]])

# The meta-analysis of five effects.
g <- c(0.9, 0.1, 1.6, 0.4, 1.1)
g_se <- c(0.35, 0.3, 0.5, 0.25, 0.4)
pooled <- rma(yi = g, sei = g_se, method = "PM", test = "knha", control = list(tol = 1e-10))
add("meta-analysis", hedges_g = pooled$beta[1], g_se = pooled$se, g_low = pooled$ci.lb, g_high = pooled$ci.ub,
    p_value = pooled$pval)
# predict() of metafor 3 has k - 1 degrees of freedom; Higgins et al. (2009), and metafor 4 as an option, have k - 2.
spread <- qt(0.975, length(g) - 2) * sqrt(pooled$tau2 + pooled$se^2)
add("meta-analysis", prediction_low = pooled$beta[1] - spread, prediction_high = pooled$beta[1] + spread)

# The difference over the root of the mean of both variances. metafor multiplies it by the correction of Hedges' g for
# equal variances, which is taken out.
summary_of <- function(study, group, f) f(units$score[units$study == study & units$group == group])
for (study in c("a", "c")) {
  size <- escalc("SMDH", m1i = summary_of(study, 1, mean), m2i = summary_of(study, 0, mean), sd1i = summary_of(study, 1, sd),
                 sd2i = summary_of(study, 0, sd), n1i = summary_of(study, 1, length), n2i = summary_of(study, 0, length))
  m <- summary_of(study, 1, length) + summary_of(study, 0, length) - 2
  add(paste("standardised difference of", study), d = size$yi[1] * sqrt(m / 2) * gamma((m - 1) / 2) / gamma(m / 2))
}

versions <- sapply(c("clubSandwich", "lme4", "metafor", "nlme"), function(p) paste(p, packageVersion(p)))
out <- file(file.path(here, "oracle.csv"), "w")
writeLines(paste0("# Made by oracle.R with R ", getRversion(), ", ", paste(versions, collapse = ", "), "."), out)
found$value <- signif(found$value, 10)
write.csv(found, out, row.names = FALSE, quote = FALSE)
close(out)
