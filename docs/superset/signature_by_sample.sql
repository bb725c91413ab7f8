{# The mean score of each sample and cell type, for the signature that the dashboard's filter chooses. where_in quotes it. #}
{% set signature = (filter_values('signature') or ['MS1'])[:1] | where_in %}
SELECT {{ signature }} AS signature, s.*
FROM signature_by_sample(
    signature_genes({{ signature }}), weights := signature_weights({{ signature }}), missing := 'ignore'
) AS s
